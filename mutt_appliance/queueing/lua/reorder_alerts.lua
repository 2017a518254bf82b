-- Put waiting alerts at the end of the queue that is consumed, each if it is still in the queue or the retry set.
-- KEYS  1 alert queue  2 retry set
-- ARGV  per alert, the youngest first: as it lies there, as it goes on
-- Returns how many were there.
local moved = 0
for i = 1, #ARGV, 2 do
  if redis.call('ZREM', KEYS[2], ARGV[i]) == 1 or redis.call('LREM', KEYS[1], -1, ARGV[i]) == 1 then
    redis.call('RPUSH', KEYS[1], ARGV[i + 1])
    moved = moved + 1
  end
end
return moved
