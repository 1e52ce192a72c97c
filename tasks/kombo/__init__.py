"""The way into Kombo's unified ATS API: plain Python on httpx. No Prefect, no Parquet; never imports `tasks.lake`."""
