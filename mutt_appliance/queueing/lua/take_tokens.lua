-- Sliding-window rate limit, shared by all forwarders: tell what became of requests, then ask for more.
-- KEYS  1 the window: a member for each request, by the last time (µs) at which it may have arrived
-- ARGV  1 limit  2 period in ms  3 ms from a grant after which its request has ended for certain
--       4 how many are wanted, 0 for none  5 a name that no other call uses
--       6 how many of the following names were granted and never sent; then their names
--       names of requests that have ended
-- Returns {granted, ms until another may be asked for}; the wait is 0 when all were granted. Requests are
-- called name:1 to name:granted.
--
-- A request counts from its grant until a period after its end, and so no period has more than `limit` arrivals.
-- Proof: an arrival lies between grant and end. Of limit + 1 arrivals within less than a period look at the one
-- that was granted last. It arrived after that grant, and each of the others less than a period before it or later,
-- so that at the grant each of the others had arrived less than a period ago, or not yet. So their ends were less
-- than a period ago, or to come; all of them were counted, the limit was full, and nothing was granted.
-- Times are cut to whole µs, a grant's to an earlier and an end's too, hence the strict comparison.
--
-- Telling an end or a return again changes nothing. Who never tells an end is counted until it must have come.
-- A member of an older version has the time of its grant, and counts for a period from then on.
-- A clock that was set back leaves times which no request can have: it counts as begun now, and not for all that time.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit, period_us, longest_us = tonumber(ARGV[1]), tonumber(ARGV[2]) * 1000, tonumber(ARGV[3]) * 1000
local wanted, unused = tonumber(ARGV[4]), tonumber(ARGV[6])
-- Forwarders of other appliances may have a longer MOOG_WEBHOOK_TIMEOUT, so much longer at most.
local SET_BACK_US = 60 * 1000000
local function whole(number)
  return string.format('%.0f', number)
end

-- A full Redis refuses ZADD, but not in a script that took something away first.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. whole(now - period_us))
local latest = whole(now + longest_us)
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. whole(now + longest_us + SET_BACK_US), '+inf')) do
  redis.call('ZADD', KEYS[1], latest, name)
end
for i = 7, #ARGV do
  if i < 7 + unused then
    redis.call('ZREM', KEYS[1], ARGV[i])
  else
    redis.call('ZADD', KEYS[1], 'XX', 'LT', whole(now), ARGV[i])
  end
end
local granted = math.max(0, math.min(wanted, limit - redis.call('ZCARD', KEYS[1])))
for i = 1, granted do
  redis.call('ZADD', KEYS[1], latest, ARGV[5] .. ':' .. i)
end
local newest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if newest then
  redis.call('PEXPIRE', KEYS[1], whole(math.ceil((newest + period_us - now) / 1000) + 1000))
end
if granted == wanted then
  return {granted, 0}
end
-- What is under way ends now at the earliest, and counts for a period more.
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
local wait_us = math.min(oldest, now) + period_us + 1 - now
return {granted, math.max(1, math.ceil(wait_us / 1000))}
