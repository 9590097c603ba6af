"""Drawing only: pictures, tables, pages and PDF of results; nothing is measured here."""
