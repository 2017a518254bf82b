-- A request to Moogsoft failed as in an outage.
-- KEYS  1 circuit
-- ARGV  1 failures in a row that open it (0: none do)  2 reason  3 first and 4 longest time between probes, in ms
--       5 whether it was a probe (0|1)  6 whether one of the caller has succeeded since its last failure (0|1)
-- Returns {when it was opened or 0, when the failures in a row began (ms), whether this one opened it}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = string.format('%.0f', now)
-- A full Redis refuses the rest, but not in a script that took something away first.
redis.call('HDEL', KEYS[1], 'reason')
-- Requests end faster than anybody looks (circuit_look).
if ARGV[6] == '1' and redis.call('HEXISTS', KEYS[1], 'opened_at') == 0 then
  redis.call('HDEL', KEYS[1], 'failures', 'row')
end
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
if redis.call('HEXISTS', KEYS[1], 'row') == 0 then
  redis.call('HSET', KEYS[1], 'row', stamp)
end
redis.call('HSET', KEYS[1], 'failed_at', stamp, 'reason', ARGV[2])
local threshold, first, longest = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local opened = redis.call('HGET', KEYS[1], 'opened_at')
local opens = 0
if opened then
  if ARGV[5] == '1' then
    local interval = math.min(longest, 2 * tonumber(redis.call('HGET', KEYS[1], 'interval') or first))
    redis.call('HSET', KEYS[1], 'interval', interval, 'probe_at', string.format('%.0f', now + interval))
  end
elseif threshold > 0 and failures >= threshold then
  opened, opens = stamp, 1
  redis.call('HSET', KEYS[1], 'opened_at', stamp, 'interval', first,
    'probe_at', string.format('%.0f', now + first), 'backlog', 1)
end
return {opened or '0', redis.call('HGET', KEYS[1], 'row'), opens}
