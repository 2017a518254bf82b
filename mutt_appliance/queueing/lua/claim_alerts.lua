-- Claim alerts: first those whose next attempt is due, then new ones.
-- KEYS  1 alert queue  2 processing list  3 heartbeat  4 retry set  5 dead letters
-- ARGV  1 token  2 lease in ms  3 how many at most
--       4 whether they are for a probe (0|1): then new ones come first, and a retry does not have to be due
--       5 longest delay of a retry in ms: one that is due later had its time from a clock that was set back, and is due
-- Returns false without the lease, else
--   {items oldest first, ms until the next retry is due or -1, depth of queue, retry set, dead letters, processing list}.
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
  return false
end
redis.call('PEXPIRE', KEYS[3], ARGV[2])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local want = tonumber(ARGV[3])
local items = {}
local function take_retries(from_ms, until_ms)
  if #items >= want then return end
  for _, item in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], from_ms, until_ms, 'LIMIT', 0, want - #items)) do
    redis.call('ZREM', KEYS[4], item)
    redis.call('LPUSH', KEYS[2], item)
    items[#items + 1] = item
  end
end
local function take_new()
  while #items < want do
    local item = redis.call('RPOPLPUSH', KEYS[1], KEYS[2])
    if not item then break end
    items[#items + 1] = item
  end
end
if ARGV[4] == '1' then
  take_new()
  take_retries('-inf', '+inf')
else
  take_retries('-inf', now)
  take_retries('(' .. string.format('%.0f', now + ARGV[5]), '+inf')
  take_new()
end

local due = -1
local first = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
if first[2] then
  due = math.max(0, tonumber(first[2]) - now)
end
return {
  items, due, redis.call('LLEN', KEYS[1]), redis.call('ZCARD', KEYS[4]), redis.call('LLEN', KEYS[5]),
  redis.call('LLEN', KEYS[2])
}
