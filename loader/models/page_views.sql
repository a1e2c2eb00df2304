-- One row per page view: where it came from, how long and how far the page was read.
-- ORDER BY (app_id, start_tstamp, page_view_id)
--
-- Time is engaged while view and pings follow each other within 30 seconds; a longer silence counts as 30 seconds.
SELECT
    app_id,
    assumeNotNull(page_view_id) AS page_view_id,
    argMin(event_id, (event_name != 'page_view', tstamp)) AS event_id,
    argMin(domain_userid, tstamp) AS domain_userid,
    argMax(user_id, tstamp) AS user_id,
    argMin(network_userid, tstamp) AS network_userid,
    argMin(domain_sessionid, tstamp) AS domain_sessionid,
    argMin(domain_sessionidx, tstamp) AS domain_sessionidx,
    min(tstamp) AS start_tstamp,
    max(tstamp) AS end_tstamp,
    countIf(event_name = 'page_ping') AS page_pings,
    dateDiff('second', start_tstamp, end_tstamp) AS absolute_time_in_s,
    arraySum(gap -> least(gap, 30), arrayPopFront(arrayDifference(arraySort(
        groupArray(toUnixTimestamp64Milli(tstamp) / 1000))))) AS engaged_time_in_s,
    max(pp_xoffset_max) AS horizontal_pixels_scrolled,
    max(pp_yoffset_max) AS vertical_pixels_scrolled,
    if(max(doc_width) > 0, least(100, round(
        100 * (ifNull(max(pp_xoffset_max), 0) + ifNull(max(br_viewwidth), 0)) / max(doc_width))), NULL)
        AS horizontal_percentage_scrolled,
    if(max(doc_height) > 0, least(100, round(
        100 * (ifNull(max(pp_yoffset_max), 0) + ifNull(max(br_viewheight), 0)) / max(doc_height))), NULL)
        AS vertical_percentage_scrolled,
    argMin(page_title, tstamp) AS page_title,
    argMin(page_url, tstamp) AS page_url,
    argMin(page_urlhost, tstamp) AS page_urlhost,
    argMin(page_urlpath, tstamp) AS page_urlpath,
    argMin(page_urlquery, tstamp) AS page_urlquery,
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
    argMin(geo_country, tstamp) AS geo_country,
    argMin(geo_city, tstamp) AS geo_city,
    argMin(useragent, tstamp) AS useragent,
    argMin(br_lang, tstamp) AS br_lang,
    argMin(os_timezone, tstamp) AS os_timezone
FROM
(
    SELECT *, ifNull(derived_tstamp, collector_tstamp) AS tstamp
    FROM {events}
    WHERE event_name IN ('page_view', 'page_ping') AND page_view_id IS NOT NULL
)
GROUP BY app_id, page_view_id
