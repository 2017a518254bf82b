-- Claim up to a batch of events, all in one round trip.
-- KEYS  source, processing list, heartbeat, suspects, then lists whose depth is of interest
-- ARGV  token, lease in ms, batch size, bytes of events at most (one event is claimed whatever its size)
-- Returns false without the lease, else {items newest first, deaths, depth of each interesting list}.
--
-- What is already on the processing list (its answer was lost) is part of the batch. An item that was
-- on the list of workers that died is claimed alone; `deaths` says how many.
local SUSPECT_AFTER = 2
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
  return false
end
redis.call('PEXPIRE', KEYS[3], ARGV[2])

local held = redis.call('LLEN', KEYS[2])
local want = tonumber(ARGV[3]) - held
local watch = redis.call('EXISTS', KEYS[4]) == 1
local deaths = 0
if watch and held == 1 then
  -- A blocking pop takes whatever comes next, a suspect too.
  local count = tonumber(redis.call('HGET', KEYS[4], redis.sha1hex(redis.call('LINDEX', KEYS[2], 0))) or '0')
  if count >= SUSPECT_AFTER then
    deaths = count
    want = 0
  end
end
local batch = want > 0 and redis.call('LRANGE', KEYS[1], -want, -1) or {}
local take = #batch
if watch then
  for i = 0, #batch - 1 do
    local count = tonumber(redis.call('HGET', KEYS[4], redis.sha1hex(batch[#batch - i])) or '0')
    if count >= SUSPECT_AFTER then
      take = i
      if held + i == 0 then
        take = 1
        deaths = count
      end
      break
    end
  end
end

local room = tonumber(ARGV[4])
if take > 0 and held > 0 then
  for _, item in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    room = room - #item
  end
end
for i = 0, take - 1 do
  room = room - #batch[#batch - i]
  if room < 0 and held + i > 0 then
    take = i
    break
  end
end

-- The oldest is pushed first, so that it lies at the right end of the list as it did in the source.
local CHUNK = 1000 -- well below the number of values unpack() can put on the stack
local oldest_first = {}
for i = 1, take do
  oldest_first[#oldest_first + 1] = batch[#batch + 1 - i]
  if #oldest_first == CHUNK or i == take then
    redis.call('LPUSH', KEYS[2], unpack(oldest_first))
    oldest_first = {}
  end
end
if take > 0 then
  redis.call('LTRIM', KEYS[1], 0, -(take + 1))
end

local items = batch
if held > 0 or take < #batch then
  items = redis.call('LRANGE', KEYS[2], 0, -1)
end
local answer = {items, deaths}
for i = 5, #KEYS do
  answer[#answer + 1] = redis.call('LLEN', KEYS[i])
end
return answer
