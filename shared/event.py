"""The canonical event: one row per column of the enriched TSV, in wire order.

A column is declared here and nowhere else. The TSV codec, the ClickHouse DDL, the mapping of tracker
parameters, the length check and the field reference derive from it. Rows are appended, never moved: their order
is a wire contract (Snowplow's canonical event model, 131 columns, of which 128 are atomic).
"""

from typing import Final, Literal, NamedTuple

Kind = Literal["text", "uuid", "timestamp", "int", "bool", "decimal", "float", "json"]


class Field(NamedTuple):
    """One column of the canonical event.

    name: column name in TSV documentation, ClickHouse and bad rows.
    kind: how the value is written; `timestamp` is `yyyy-MM-dd HH:mm:ss.SSS` in UTC, `bool` is `1` or `0`,
        `decimal` keeps its digits, `json` is one self-describing document.
    limit: longest accepted value in UTF-16 code units; None where the column is not length-checked.
    params: tracker protocol parameters that feed the column, the preferred one first.
    doc: meaning, and the unit where there is one.
    part: for a pair such as `res=1920x1080`, which half feeds this column.
    """

    name: str
    kind: Kind
    limit: int | None
    params: tuple[str, ...]
    doc: str
    part: int | None = None


FIELDS: Final[tuple[Field, ...]] = (
    Field("app_id", "text", 255, ("aid",), "Application the event belongs to"),
    Field("platform", "text", 255, ("p",), "Platform: web, mob, pc, srv, app, tv, cnsl, iot, headset"),
    Field("etl_tstamp", "timestamp", None, (), "When the enricher processed the event"),
    Field("collector_tstamp", "timestamp", None, (), "When the collector received the event"),
    Field("dvce_created_tstamp", "timestamp", None, ("dtm",), "When the event happened, by the device's clock"),
    Field("event", "text", 128, ("e",), "Kind of event: page_view, page_ping, struct, unstruct, transaction, …"),
    Field(
        "event_id",
        "uuid",
        36,
        ("eid",),
        "Identifies the event; made by the tracker, else derived by the enricher",
    ),
    Field("txn_id", "int", None, ("tid",), "Transaction id of old trackers"),
    Field("name_tracker", "text", 128, ("tna",), "Tracker namespace"),
    Field("v_tracker", "text", 100, ("tv",), "Tracker name and version"),
    Field("v_collector", "text", 100, ("cv",), "Collector name and version"),
    Field("v_etl", "text", 100, (), "Enricher name and version"),
    Field("user_id", "text", 255, ("uid",), "User id set by the application"),
    Field("user_ipaddress", "text", 128, ("ip",), "IP address of the user"),
    Field("user_fingerprint", "text", 128, ("fp",), "Browser fingerprint sent by old trackers"),
    Field("domain_userid", "text", 128, ("duid",), "First-party cookie id of the user"),
    Field("domain_sessionidx", "int", None, ("vid",), "Number of the user's session, from 1"),
    Field("network_userid", "text", 128, ("tnuid", "nuid"), "Cookie id set by the collector"),
    Field("geo_country", "text", 2, (), "Country of the IP address, ISO 3166-1 alpha-2"),
    Field("geo_region", "text", 3, (), "Region of the IP address, ISO 3166-2 without country"),
    Field("geo_city", "text", 75, (), "City of the IP address"),
    Field("geo_zipcode", "text", 15, (), "Postal code of the IP address"),
    Field("geo_latitude", "float", None, (), "Latitude of the IP address, degrees"),
    Field("geo_longitude", "float", None, (), "Longitude of the IP address, degrees"),
    Field("geo_region_name", "text", 100, (), "Name of the region of the IP address"),
    Field("ip_isp", "text", 100, (), "Internet service provider of the IP address"),
    Field("ip_organization", "text", 128, (), "Organisation that holds the IP address"),
    Field("ip_domain", "text", 128, (), "Second-level domain of the IP address"),
    Field("ip_netspeed", "text", 100, (), "Connection type of the IP address"),
    Field("page_url", "text", 10000, ("url",), "URL of the page"),
    Field("page_title", "text", 2000, ("page",), "Title of the page"),
    Field("page_referrer", "text", 10000, ("refr",), "URL of the referrer, as sent"),
    Field("page_urlscheme", "text", 16, (), "Scheme of the page URL"),
    Field("page_urlhost", "text", 255, (), "Host of the page URL"),
    Field("page_urlport", "int", None, (), "Port of the page URL, 443 or 80 where it names none"),
    Field("page_urlpath", "text", 3000, (), "Path of the page URL"),
    Field("page_urlquery", "text", 6000, (), "Query string of the page URL"),
    Field("page_urlfragment", "text", 3000, (), "Fragment of the page URL"),
    Field("refr_urlscheme", "text", 16, (), "Scheme of the referrer URL"),
    Field("refr_urlhost", "text", 255, (), "Host of the referrer URL"),
    Field("refr_urlport", "int", None, (), "Port of the referrer URL, 443 or 80 where it names none"),
    Field("refr_urlpath", "text", 6000, (), "Path of the referrer URL"),
    Field("refr_urlquery", "text", 6000, (), "Query string of the referrer URL"),
    Field("refr_urlfragment", "text", 3000, (), "Fragment of the referrer URL"),
    Field(
        "refr_medium",
        "text",
        25,
        (),
        "Kind of referrer: search, social, email, paid, chatbot, internal, unknown",
    ),
    Field("refr_source", "text", 50, (), "Name of the referrer where it is known"),
    Field("refr_term", "text", 255, (), "Search term found in the referrer URL"),
    Field("mkt_medium", "text", 255, (), "Campaign medium"),
    Field("mkt_source", "text", 255, (), "Campaign source"),
    Field("mkt_term", "text", 255, (), "Campaign term"),
    Field("mkt_content", "text", 500, (), "Campaign content"),
    Field("mkt_campaign", "text", 255, (), "Campaign name"),
    Field("contexts", "json", None, ("cx", "co"), "Entities that the tracker attached"),
    Field("se_category", "text", 1000, ("se_ca", "ev_ca"), "Category of a structured event"),
    Field("se_action", "text", 1000, ("se_ac", "ev_ac"), "Action of a structured event"),
    Field("se_label", "text", 4096, ("se_la", "ev_la"), "Label of a structured event"),
    Field("se_property", "text", 1000, ("se_pr", "ev_pr"), "Property of a structured event"),
    Field("se_value", "decimal", None, ("se_va", "ev_va"), "Value of a structured event"),
    Field("unstruct_event", "json", None, ("ue_px", "ue_pr"), "Self-describing event"),
    Field("tr_orderid", "text", 255, ("tr_id",), "Order id of a transaction"),
    Field("tr_affiliation", "text", 255, ("tr_af",), "Affiliation of a transaction"),
    Field("tr_total", "decimal", None, ("tr_tt",), "Total of a transaction, in tr_currency"),
    Field("tr_tax", "decimal", None, ("tr_tx",), "Tax of a transaction, in tr_currency"),
    Field("tr_shipping", "decimal", None, ("tr_sh",), "Shipping of a transaction, in tr_currency"),
    Field("tr_city", "text", 255, ("tr_ci",), "Delivery city of a transaction"),
    Field("tr_state", "text", 255, ("tr_st",), "Delivery state of a transaction"),
    Field("tr_country", "text", 255, ("tr_co",), "Delivery country of a transaction"),
    Field("ti_orderid", "text", 255, ("ti_id",), "Order id of a transaction item"),
    Field("ti_sku", "text", 255, ("ti_sk",), "Stock keeping unit of a transaction item"),
    Field("ti_name", "text", 255, ("ti_nm", "ti_na"), "Name of a transaction item"),
    Field("ti_category", "text", 255, ("ti_ca",), "Category of a transaction item"),
    Field("ti_price", "decimal", None, ("ti_pr",), "Unit price of a transaction item, in ti_currency"),
    Field("ti_quantity", "int", None, ("ti_qu",), "Quantity of a transaction item"),
    Field("pp_xoffset_min", "int", None, ("pp_mix",), "Least horizontal scroll since the last page ping, pixels"),
    Field(
        "pp_xoffset_max",
        "int",
        None,
        ("pp_max",),
        "Greatest horizontal scroll since the last page ping, pixels",
    ),
    Field("pp_yoffset_min", "int", None, ("pp_miy",), "Least vertical scroll since the last page ping, pixels"),
    Field(
        "pp_yoffset_max",
        "int",
        None,
        ("pp_may",),
        "Greatest vertical scroll since the last page ping, pixels",
    ),
    Field("useragent", "text", 1000, ("ua",), "User agent, of the payload or of the request"),
    Field("br_name", "text", 50, (), "Browser name, of the retired user_agent_utils enrichment"),
    Field("br_family", "text", 50, (), "Browser family, of the retired user_agent_utils enrichment"),
    Field("br_version", "text", 50, (), "Browser version, of the retired user_agent_utils enrichment"),
    Field("br_type", "text", 50, (), "Browser type, of the retired user_agent_utils enrichment"),
    Field("br_renderengine", "text", 50, (), "Rendering engine, of the retired user_agent_utils enrichment"),
    Field("br_lang", "text", 255, ("lang",), "Language of the browser or device"),
    Field("br_features_pdf", "bool", None, ("f_pdf",), "Browser shows PDF"),
    Field("br_features_flash", "bool", None, ("f_fla",), "Browser has Flash"),
    Field("br_features_java", "bool", None, ("f_java",), "Browser has Java"),
    Field("br_features_director", "bool", None, ("f_dir",), "Browser has Director"),
    Field("br_features_quicktime", "bool", None, ("f_qt",), "Browser has QuickTime"),
    Field("br_features_realplayer", "bool", None, ("f_realp",), "Browser has RealPlayer"),
    Field("br_features_windowsmedia", "bool", None, ("f_wma",), "Browser has Windows Media"),
    Field("br_features_gears", "bool", None, ("f_gears",), "Browser has Gears"),
    Field("br_features_silverlight", "bool", None, ("f_ag",), "Browser has Silverlight"),
    Field("br_cookies", "bool", None, ("cookie",), "Browser accepts cookies"),
    Field("br_colordepth", "text", 12, ("cd",), "Colour depth of the screen, bits per pixel"),
    Field("br_viewwidth", "int", None, ("vp",), "Width of the browser's viewport, pixels", 0),
    Field("br_viewheight", "int", None, ("vp",), "Height of the browser's viewport, pixels", 1),
    Field("os_name", "text", 50, (), "Operating system, of the retired user_agent_utils enrichment"),
    Field("os_family", "text", 50, (), "Operating system family, of the retired user_agent_utils enrichment"),
    Field(
        "os_manufacturer",
        "text",
        50,
        (),
        "Maker of the operating system, of the retired user_agent_utils enrichment",
    ),
    Field("os_timezone", "text", 255, ("tz",), "Time zone of the device"),
    Field("dvce_type", "text", 50, (), "Kind of device, of the retired user_agent_utils enrichment"),
    Field("dvce_ismobile", "bool", None, (), "Device is mobile, of the retired user_agent_utils enrichment"),
    Field("dvce_screenwidth", "int", None, ("res",), "Width of the screen, pixels", 0),
    Field("dvce_screenheight", "int", None, ("res",), "Height of the screen, pixels", 1),
    Field("doc_charset", "text", 128, ("cs",), "Character set of the page"),
    Field("doc_width", "int", None, ("ds",), "Width of the page, pixels", 0),
    Field("doc_height", "int", None, ("ds",), "Height of the page, pixels", 1),
    Field("tr_currency", "text", 3, ("tr_cu",), "Currency of a transaction, ISO 4217"),
    Field("tr_total_base", "decimal", None, (), "Total of a transaction, in base_currency"),
    Field("tr_tax_base", "decimal", None, (), "Tax of a transaction, in base_currency"),
    Field("tr_shipping_base", "decimal", None, (), "Shipping of a transaction, in base_currency"),
    Field("ti_currency", "text", 3, ("ti_cu",), "Currency of a transaction item, ISO 4217"),
    Field("ti_price_base", "decimal", None, (), "Unit price of a transaction item, in base_currency"),
    Field("base_currency", "text", 3, (), "Currency that amounts were converted to, ISO 4217"),
    Field("geo_timezone", "text", 64, (), "Time zone of the IP address"),
    Field("mkt_clickid", "text", 1000, (), "Click id of the advertising network"),
    Field("mkt_network", "text", 64, (), "Advertising network the click id belongs to"),
    Field("etl_tags", "text", 500, (), "Tags of the processing run; never set"),
    Field(
        "dvce_sent_tstamp",
        "timestamp",
        None,
        ("stm",),
        "When the tracker sent the event, by the device's clock",
    ),
    Field("refr_domain_userid", "text", 128, (), "domain_userid on the site the user came from"),
    Field(
        "refr_dvce_tstamp",
        "timestamp",
        None,
        (),
        "When the user left the site they came from, by the device's clock",
    ),
    Field("derived_contexts", "json", None, (), "Entities that enrichments attached"),
    Field("domain_sessionid", "uuid", 128, ("sid",), "Identifies the user's session"),
    Field("derived_tstamp", "timestamp", None, (), "Best estimate of when the event happened"),
    Field("event_vendor", "text", 1000, (), "Vendor of the event's schema"),
    Field("event_name", "text", 1000, (), "Name of the event's schema"),
    Field("event_format", "text", 128, (), "Format of the event's schema"),
    Field("event_version", "text", 128, (), "Version of the event's schema"),
    Field(
        "event_fingerprint",
        "text",
        128,
        (),
        "Hash of the tracker's parameters, tells duplicates from clashes",
    ),
    Field("true_tstamp", "timestamp", None, ("ttm",), "When the event happened, as the application states it"),
)

#: Number of columns in a TSV line.
WIDTH: Final = len(FIELDS)

#: Column name → position in the line.
INDEX: Final[dict[str, int]] = {field.name: position for position, field in enumerate(FIELDS)}

#: Column name → what its text stands for.
KINDS: Final[dict[str, Kind]] = {field.name: field.kind for field in FIELDS}
