-- Put what a dump held where it belongs, all of it or nothing.
-- KEYS  1 mark of the dump, then per place: what was staged, where it goes (lists, or sorted sets)
-- ARGV  1 1 to load it although the mark is there  2 seconds to keep the mark, then per place: how many were staged
-- Returns 1 when it is done, 0 for a dump that was loaded before, -1 when not all is there that was staged.
if redis.call('EXISTS', KEYS[1]) == 1 and ARGV[1] ~= '1' then
  return 0
end
local function length(key)
  if redis.call('TYPE', key).ok == 'zset' then
    return redis.call('ZCARD', key)
  end
  return redis.call('LLEN', key)
end
for i = 2, #KEYS, 2 do
  if length(KEYS[i]) ~= tonumber(ARGV[2 + i / 2]) then
    return -1
  end
end
for i = 2, #KEYS, 2 do
  local staged, target = KEYS[i], KEYS[i + 1]
  local count = length(staged)
  if count > 0 and redis.call('TYPE', staged).ok == 'zset' then
    redis.call('ZUNIONSTORE', target, 2, target, staged, 'AGGREGATE', 'MIN')
    redis.call('DEL', staged)
  elseif count > 0 and redis.call('EXISTS', target) == 0 then
    redis.call('PERSIST', staged)
    redis.call('RENAME', staged, target)
  else
    -- The first of the staged list is the newest; it lies next to what is there, which is newer still.
    for _ = 1, count do
      redis.call('RPUSH', target, redis.call('LPOP', staged))
    end
  end
end
redis.call('SET', KEYS[1], '1', 'EX', ARGV[2])
return 1
