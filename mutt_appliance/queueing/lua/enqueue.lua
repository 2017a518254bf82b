-- Take in the events of one or more requests, all or none.
-- KEYS  1 ingest queue  2 ids of this window  3 ids of the window before  4 dead letters
-- ARGV  1 queue cap  2 seconds to keep ids  3 number of events  4 number of dead letters  5 dead letters kept
--       6 digests of the ids that senders gave, 16 bytes an event, zeros for none (empty: none of them has one)
--       then the events, then the dead letters
-- Returns {accepted 1|0, queue depth, dead letter depth, positions (from 0) of duplicates …}.
local count, dead = tonumber(ARGV[3]), tonumber(ARGV[4])
local depth = redis.call('LLEN', KEYS[1])
if depth + count > tonumber(ARGV[1]) then
  return {0, depth, redis.call('LLEN', KEYS[4])}
end

local CHUNK = 1000 -- well below the number of values unpack() can put on the stack
local DIGEST, NONE = 16, string.rep('\0', 16)
local first, last = 7, 6 + count
local answer = {1, 0, 0}
local digests = ARGV[6]
if digests == '' then
  for i = first, last, CHUNK do
    redis.call('LPUSH', KEYS[1], unpack(ARGV, i, math.min(i + CHUNK - 1, last)))
  end
else
  local chunk = {}
  for i = 0, count - 1 do
    local digest = string.sub(digests, i * DIGEST + 1, (i + 1) * DIGEST)
    if digest == NONE
      or (redis.call('SISMEMBER', KEYS[3], digest) == 0 and redis.call('SADD', KEYS[2], digest) == 1) then
      chunk[#chunk + 1] = ARGV[first + i]
      if #chunk == CHUNK then
        redis.call('LPUSH', KEYS[1], unpack(chunk))
        chunk = {}
      end
    else
      answer[#answer + 1] = i
    end
  end
  if #chunk > 0 then
    redis.call('LPUSH', KEYS[1], unpack(chunk))
  end
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end

for i = last + 1, last + dead do
  redis.call('LPUSH', KEYS[4], ARGV[i])
end
if dead > 0 then
  redis.call('LTRIM', KEYS[4], 0, tonumber(ARGV[5]) - 1)
end
answer[2] = redis.call('LLEN', KEYS[1])
answer[3] = redis.call('LLEN', KEYS[4])
return answer
