"""The entities in which iab and yauaa say what a robot is; bot_detection takes them at their exact versions."""

IAB = "iglu:com.iab.snowplow/spiders_and_robots/jsonschema/1-0-0"
YAUAA = "iglu:nl.basjes/yauaa_context/jsonschema/1-0-5"
