-- Move all items of a worker's list back to the end of the source they were taken from, oldest first
-- out again, and note for each that a worker was lost while it held it.
--
-- A batch death counts up to SUSPECT_AFTER; only the death of a worker that held nothing else counts
-- further, so that a thousand innocents are not condemned for the one that kills.
local SUSPECT_AFTER = 2
local SUSPECTS_KEEP_SECS = 86400

local function give_back(processing, source, suspects)
  local count = redis.call('LLEN', processing)
  for _ = 1, count do
    local item = redis.call('LPOP', processing)
    redis.call('RPUSH', source, item)
    local digest = redis.sha1hex(item)
    local deaths = tonumber(redis.call('HGET', suspects, digest) or '0')
    if count == 1 or deaths < SUSPECT_AFTER then
      redis.call('HSET', suspects, digest, deaths + 1)
    end
  end
  if count > 0 then
    redis.call('EXPIRE', suspects, SUSPECTS_KEEP_SECS)
  end
  return count
end
