-- The next row gets a number that no row has, and never one that was given before.
SELECT setval(
    pg_get_serial_sequence(%(table)s, 'id'),
    greatest((SELECT max(id) FROM {table}), (SELECT nextval(pg_get_serial_sequence(%(table)s, 'id')) - 1), 1)
)
