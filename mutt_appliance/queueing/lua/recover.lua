-- Janitor, one list: without a heartbeat its items go back to the end they are taken from.
-- KEYS  processing list, heartbeat, source, workers, suspects
-- ARGV  worker name, usual lease in ms
-- Returns the number of items given back, or -1 if the worker lives.
--#include give_back
local left = redis.call('TTL', KEYS[2])
-- A clock that was set back makes a lease longer than anybody asked for. Those of other appliances may be a bit longer.
if 1000 * left > ARGV[2] + 60000 then
  redis.call('PEXPIRE', KEYS[2], ARGV[2] + 60000)
end
if left ~= -2 then
  return -1
end
local count = give_back(KEYS[1], KEYS[3], KEYS[5])
redis.call('SREM', KEYS[4], ARGV[1])
return count
