"""Reports, pictures, tables, the live page."""
