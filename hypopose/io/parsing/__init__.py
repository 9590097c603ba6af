"""What several keypoint readers share: checked JSON, CSV rows, joint names, skeleton detection."""
