-- May the caller send the next probe? One may in each interval.
-- KEYS  1 circuit
-- ARGV  1 longest time between probes, in ms: it may be shorter now than when the interval was chosen
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('HGET', KEYS[1], 'probe_at')
if not due or redis.call('HEXISTS', KEYS[1], 'opened_at') == 0 then
  return 0
end
local interval = math.min(tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], 'interval')))
local left = tonumber(due) - now
-- More than an interval is left when it was longer, and when the clock was set back or is that of another master.
if left > 0 and left <= interval then
  return 0
end
-- A full Redis refuses HSET, but not in a script that took something away first.
redis.call('HDEL', KEYS[1], 'probe_at')
redis.call('HSET', KEYS[1], 'interval', interval, 'probe_at', string.format('%.0f', now + interval))
return 1
