-- A worker leaves: what it still holds goes back unharmed, its lease and name are gone.
-- KEYS  processing list, heartbeat, source, workers
-- ARGV  token, worker name
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
local count = redis.call('LLEN', KEYS[1])
for _ = 1, count do
  redis.call('RPUSH', KEYS[3], redis.call('LPOP', KEYS[1]))
end
redis.call('DEL', KEYS[2])
redis.call('SREM', KEYS[4], ARGV[2])
return count
