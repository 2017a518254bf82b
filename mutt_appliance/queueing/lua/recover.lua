-- Janitor, one list: without a heartbeat its items go back to the end they are taken from.
-- KEYS  processing list, heartbeat, source, workers, suspects
-- ARGV  worker name
-- Returns the number of items given back, or -1 if the worker lives.
--#include give_back
if redis.call('EXISTS', KEYS[2]) == 1 then
  return -1
end
local count = give_back(KEYS[1], KEYS[3], KEYS[5])
redis.call('SREM', KEYS[4], ARGV[1])
return count
