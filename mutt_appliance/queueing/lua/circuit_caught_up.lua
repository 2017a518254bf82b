-- The backlog of an outage is gone, unless the next outage has begun.
-- KEYS  1 circuit
if redis.call('HEXISTS', KEYS[1], 'opened_at') == 1 then
  return 0
end
return redis.call('HDEL', KEYS[1], 'backlog')
