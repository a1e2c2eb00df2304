-- One row per session, of web and of mobile trackers: what began it, what happened in it, where it ended.
-- ORDER BY (app_id, start_tstamp, session_id)
--
-- Time is engaged while events follow each other within 30 seconds; a longer silence counts as 30 seconds.
SELECT
    app_id,
    session_id,
    max(domain_sessionidx) AS session_index,
    argMin(nullIf(visitor_id, ''), tstamp) AS visitor_id,
    argMax(user_id, tstamp) AS user_id,
    argMin(network_userid, tstamp) AS network_userid,
    argMin(platform, tstamp) AS platform,
    min(tstamp) AS start_tstamp,
    max(tstamp) AS end_tstamp,
    count() AS events,
    countIf(event_name = 'page_view') AS page_views,
    countIf(event_name = 'screen_view') AS screen_views,
    uniqExact(event_name) AS distinct_event_names,
    dateDiff('second', start_tstamp, end_tstamp) AS absolute_time_in_s,
    arraySum(gap -> least(gap, 30), arrayPopFront(arrayDifference(arraySort(
        groupArray(toUnixTimestamp64Milli(tstamp) / 1000))))) AS engaged_time_in_s,
    page_views + screen_views >= 2 OR engaged_time_in_s >= 10 AS is_engaged,
    argMinIf(page_url, tstamp, event_name = 'page_view') AS first_page_url,
    argMinIf(page_title, tstamp, event_name = 'page_view') AS first_page_title,
    argMinIf(page_urlhost, tstamp, event_name = 'page_view') AS first_page_urlhost,
    argMinIf(page_urlpath, tstamp, event_name = 'page_view') AS first_page_urlpath,
    argMaxIf(page_url, tstamp, event_name = 'page_view') AS last_page_url,
    argMaxIf(page_title, tstamp, event_name = 'page_view') AS last_page_title,
    argMaxIf(page_urlpath, tstamp, event_name = 'page_view') AS last_page_urlpath,
    argMin(page_referrer, tstamp) AS page_referrer,
    argMin(refr_urlhost, tstamp) AS refr_urlhost,
    argMin(refr_medium, tstamp) AS refr_medium,
    argMin(refr_source, tstamp) AS refr_source,
    argMin(refr_term, tstamp) AS refr_term,
    argMin(mkt_medium, tstamp) AS mkt_medium,
    argMin(mkt_source, tstamp) AS mkt_source,
    argMin(mkt_term, tstamp) AS mkt_term,
    argMin(mkt_content, tstamp) AS mkt_content,
    argMin(mkt_campaign, tstamp) AS mkt_campaign,
    argMin(mkt_clickid, tstamp) AS mkt_clickid,
    argMin(mkt_network, tstamp) AS mkt_network,
    argMin(geo_country, tstamp) AS geo_country,
    argMin(geo_region_name, tstamp) AS geo_region_name,
    argMin(geo_city, tstamp) AS geo_city,
    argMin(useragent, tstamp) AS useragent,
    argMin(br_lang, tstamp) AS br_lang,
    argMin(os_timezone, tstamp) AS os_timezone
FROM
(
{identified}
)
WHERE session_id != ''
GROUP BY app_id, session_id
