"""What must exist before `prefect deploy`, and what runs beside the flows on one machine."""
