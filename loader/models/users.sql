-- One row per visitor, of web and of mobile trackers: first touch, last touch, and how much lies between.
-- ORDER BY (app_id, start_tstamp, visitor_id)
SELECT
    app_id,
    visitor_id,
    argMax(user_id, tstamp) AS user_id,
    argMax(network_userid, tstamp) AS network_userid,
    min(tstamp) AS start_tstamp,
    max(tstamp) AS end_tstamp,
    count() AS events,
    countIf(event_name = 'page_view') AS page_views,
    countIf(event_name = 'screen_view') AS screen_views,
    uniqExactIf(session_id, session_id != '') AS sessions,
    uniqExact(toDate(tstamp)) AS active_days,
    argMinIf(page_url, tstamp, event_name = 'page_view') AS first_page_url,
    argMinIf(page_title, tstamp, event_name = 'page_view') AS first_page_title,
    argMinIf(page_urlhost, tstamp, event_name = 'page_view') AS first_page_urlhost,
    argMinIf(page_urlpath, tstamp, event_name = 'page_view') AS first_page_urlpath,
    argMaxIf(page_url, tstamp, event_name = 'page_view') AS last_page_url,
    argMaxIf(page_title, tstamp, event_name = 'page_view') AS last_page_title,
    argMin(page_referrer, tstamp) AS page_referrer,
    argMin(refr_medium, tstamp) AS refr_medium,
    argMin(refr_source, tstamp) AS refr_source,
    argMin(mkt_medium, tstamp) AS mkt_medium,
    argMin(mkt_source, tstamp) AS mkt_source,
    argMin(mkt_campaign, tstamp) AS mkt_campaign,
    argMin(geo_country, tstamp) AS first_geo_country,
    argMax(geo_country, tstamp) AS last_geo_country,
    argMax(useragent, tstamp) AS last_useragent,
    argMax(br_lang, tstamp) AS last_br_lang
FROM
(
{identified}
)
WHERE visitor_id != ''
GROUP BY app_id, visitor_id
