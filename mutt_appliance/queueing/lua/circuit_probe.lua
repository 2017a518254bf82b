-- May the caller send the next probe? One may in each interval.
-- KEYS  1 circuit
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('HGET', KEYS[1], 'probe_at')
if not due or redis.call('HEXISTS', KEYS[1], 'opened_at') == 0 then
  return 0
end
local interval = redis.call('HGET', KEYS[1], 'interval')
local left = due - now
-- More than an interval is left only when the clock was set back.
if left > 0 and left <= tonumber(interval) then
  return 0
end
-- A full Redis refuses HSET, but not in a script that took something away first.
redis.call('HDEL', KEYS[1], 'probe_at')
redis.call('HSET', KEYS[1], 'probe_at', string.format('%.0f', now + interval))
return 1
