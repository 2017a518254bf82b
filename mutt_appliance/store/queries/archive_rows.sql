SELECT row_to_json(e)::text FROM {partition} AS e ORDER BY received_at, event_id
