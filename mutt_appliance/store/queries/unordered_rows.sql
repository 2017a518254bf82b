SELECT row_to_json(t)::text FROM {table} AS t
