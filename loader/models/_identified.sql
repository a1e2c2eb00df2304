-- Events with their moment, session and visitor, of web and of mobile trackers; session and visitor are empty where
-- neither is known.
SELECT
    *,
    ifNull(derived_tstamp, collector_tstamp) AS tstamp,
    ifNull(ifNull(domain_sessionid, toString(contexts_com_snowplowanalytics_snowplow_client_session_1[1].sessionId)), '')
        AS session_id,
    ifNull(ifNull(domain_userid, toString(contexts_com_snowplowanalytics_snowplow_client_session_1[1].userId)), '')
        AS visitor_id
FROM {events}
