-- How the circuit is. A request that succeeded after the last failure ends the failures in a row of a closed one.
-- KEYS  1 circuit
-- ARGV  1 how long ago, in ms, the last request of the caller succeeded (-1: none did)
-- Returns {all fields and values of the hash, now in ms}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ago = tonumber(ARGV[1])
local failed_at = redis.call('HGET', KEYS[1], 'failed_at')
-- A failure that is to come was before the clock was set back.
if ago >= 0 and failed_at and (now - ago > tonumber(failed_at) or now < tonumber(failed_at))
  and redis.call('HEXISTS', KEYS[1], 'opened_at') == 0 then
  redis.call('HDEL', KEYS[1], 'failures', 'row', 'failed_at', 'reason')
end
return {redis.call('HGETALL', KEYS[1]), string.format('%.0f', now)}
