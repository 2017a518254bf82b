-- Settle alerts one by one, each only if it is still on our processing list.
-- KEYS  1 processing list  2 retry set  3 dead letters  4 alert queue  5 suspects
--       6 deliveries of traced alerts
-- ARGV  per alert: what happened (done|retry|dead|release), the item as claimed, the item as it goes on,
--       delay in ms before its next attempt. What is done goes on only as the note of a traced delivery.
-- Returns {settled, depth of dead letters}. Doing it twice is harmless: the second time nothing is on the list.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local settled = 0
local TRACED_MOST, TRACED_SECS = 200, 3600
local watch = redis.call('EXISTS', KEYS[5]) == 1
for i = 1, #ARGV, 4 do
  local outcome, item, onward = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if redis.call('LREM', KEYS[1], -1, item) == 1 then
    settled = settled + 1
    if outcome == 'done' then
      if onward ~= '' then
        redis.call('LPUSH', KEYS[6], onward)
        redis.call('LTRIM', KEYS[6], 0, TRACED_MOST - 1)
        redis.call('EXPIRE', KEYS[6], TRACED_SECS)
      end
    elseif outcome == 'retry' then
      redis.call('ZADD', KEYS[2], now + tonumber(ARGV[i + 3]), onward)
    elseif outcome == 'dead' then
      redis.call('LPUSH', KEYS[3], onward)
    elseif outcome == 'release' then
      redis.call('RPUSH', KEYS[4], item)
    end
    if watch then
      redis.call('HDEL', KEYS[5], redis.sha1hex(item))
    end
  end
end
return {settled, redis.call('LLEN', KEYS[3])}
