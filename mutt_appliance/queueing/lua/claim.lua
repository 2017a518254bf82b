-- Claim up to a batch of events, all in one round trip.
-- KEYS  source, processing list, heartbeat, suspects, then lists whose depth is of interest
-- ARGV  token, lease in ms, batch size
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
local claimed = 0
while claimed < want do
  if watch then
    local following = redis.call('LINDEX', KEYS[1], -1)
    if not following then break end
    local count = tonumber(redis.call('HGET', KEYS[4], redis.sha1hex(following)) or '0')
    if count >= SUSPECT_AFTER then
      if held + claimed == 0 then
        redis.call('RPOPLPUSH', KEYS[1], KEYS[2])
        deaths = count
      end
      break
    end
  end
  if not redis.call('RPOPLPUSH', KEYS[1], KEYS[2]) then break end
  claimed = claimed + 1
end

local answer = {redis.call('LRANGE', KEYS[2], 0, -1), deaths}
for i = 5, #KEYS do
  answer[#answer + 1] = redis.call('LLEN', KEYS[i])
end
return answer
