"""What runs: one Prefect flow a file, which a file's name is also the name of."""
