-- Another answer after any change, by whomever: xmin is the transaction that wrote a row.
SELECT (SELECT (count(*), sum(xmin::text::bigint))::text FROM alert_rules),
       (SELECT (count(*), sum(xmin::text::bigint))::text FROM development_hosts),
       (SELECT (count(*), sum(xmin::text::bigint))::text FROM device_teams)
