(SELECT array_agg(value ORDER BY ordinality) FROM json_each_text(row_to_json(e)) WITH ORDINALITY)
