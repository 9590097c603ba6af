# HypoPose on a processor, with the extras for clusters and stores:
#   docker build -t hypopose .
#   docker run --rm -v "$PWD":/data hypopose sample /data/clips -o /data/results
FROM python:3.12-slim
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY hypopose hypopose
# The build of torch for processors; the one on PyPI brings several gigabytes of CUDA.
RUN pip install --no-cache-dir torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir -c constraints.txt '.[cluster,cloud,formats]'
RUN useradd --create-home hypopose
USER hypopose
WORKDIR /home/hypopose
ENTRYPOINT ["hypopose"]
CMD ["--help"]
