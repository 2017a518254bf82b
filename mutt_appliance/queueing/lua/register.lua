-- Take the lease of a worker name. What a former holder of the name left over goes back to the source.
-- KEYS  processing list, heartbeat, source, workers, suspects
-- ARGV  token (begins with the run id), run id, lease in ms, worker name
-- Returns the number of items given back, or -1 if another run's worker holds the name.
--#include give_back
local current = redis.call('GET', KEYS[2])
-- A clock that was set back makes a lease longer than anybody asked for.
if 1000 * redis.call('TTL', KEYS[2]) > ARGV[3] + 60000 then
  redis.call('PEXPIRE', KEYS[2], ARGV[3] + 60000)
end
if current and string.sub(current, 1, #ARGV[2]) ~= ARGV[2] then
  return -1
end
-- A full Redis refuses SET, but not in a script that took something away first.
redis.call('DEL', KEYS[2])
local count = give_back(KEYS[1], KEYS[3], KEYS[5])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
redis.call('SADD', KEYS[4], ARGV[4])
return count
