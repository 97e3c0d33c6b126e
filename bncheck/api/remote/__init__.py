"""Models and data on other machines: fetched by the libraries that know these, and read as any file."""
