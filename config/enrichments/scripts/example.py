"""An example of a function for the python_script enrichment."""


def enrich(event):
    """Drop the office's own traffic, and mark what came at night in UTC."""
    if event["app_id"] == "office":
        event.drop()
        return None
    hour = int(event["collector_tstamp"][11:13])
    return [{"schema": "iglu:com.acme/daytime/jsonschema/1-0-0", "data": {"night": hour < 6}}]
