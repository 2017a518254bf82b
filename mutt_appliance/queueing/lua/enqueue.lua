-- Take in the events of one or more requests, all or none.
-- KEYS  1 ingest queue  2 ids of this window  3 ids of the window before  4 dead letters
-- ARGV  1 queue cap  2 seconds to keep ids  3 number of events  4 number of dead letters  5 dead letters kept
--       then per event: digest of the id its sender gave (empty: none), the event; then the dead letters
-- Returns {accepted 1|0, queue depth, dead letter depth, positions (from 0) of duplicates …}.
local count, dead = tonumber(ARGV[3]), tonumber(ARGV[4])
local depth = redis.call('LLEN', KEYS[1])
if depth + count > tonumber(ARGV[1]) then
  return {0, depth, redis.call('LLEN', KEYS[4])}
end

local CHUNK = 1000 -- well below the number of values unpack() can put on the stack
local at = 6
local answer = {1, 0, 0}
local chunk = {}
local ids = false
for i = 0, count - 1 do
  local digest = ARGV[at]
  local fresh = true
  if digest ~= '' then
    ids = true
    fresh = redis.call('SISMEMBER', KEYS[3], digest) == 0 and redis.call('SADD', KEYS[2], digest) == 1
  end
  if fresh then
    chunk[#chunk + 1] = ARGV[at + 1]
    if #chunk == CHUNK then
      redis.call('LPUSH', KEYS[1], unpack(chunk))
      chunk = {}
    end
  else
    answer[#answer + 1] = i
  end
  at = at + 2
end
if #chunk > 0 then
  redis.call('LPUSH', KEYS[1], unpack(chunk))
end
if ids then
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end

for i = at, at + dead - 1 do
  redis.call('LPUSH', KEYS[4], ARGV[i])
end
if dead > 0 then
  redis.call('LTRIM', KEYS[4], 0, tonumber(ARGV[5]) - 1)
end
answer[2] = redis.call('LLEN', KEYS[1])
answer[3] = redis.call('LLEN', KEYS[4])
return answer
