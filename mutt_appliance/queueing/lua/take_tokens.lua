-- Sliding-window rate limit, shared by all forwarders.
-- KEYS  1 the window: requests by the time (µs) they were allowed
-- ARGV  1 limit  2 period in ms  3 how many are wanted  4 a name that no other call uses
-- Returns {granted, ms until another may be asked for}; the wait is 0 when all were granted.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit, period_us, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]) * 1000, tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - period_us)
local used = redis.call('ZCARD', KEYS[1])
local granted = math.max(0, math.min(wanted, limit - used))
for i = 1, granted do
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[4] .. ':' .. i)
end
redis.call('PEXPIRE', KEYS[1], math.ceil(period_us / 1000) + 1000)
if granted == wanted then
  return {granted, 0}
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local wait_us = tonumber(oldest[2]) + period_us - now
return {granted, math.max(1, math.ceil(wait_us / 1000))}
