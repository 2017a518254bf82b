-- Take dead letters out of their queue, and put what they become into another, each only if it is still there.
-- KEYS  1 dead letters  2 where they go, the dead letters themselves for nowhere
-- ARGV  per letter: the letter as it lies there, what becomes of it
-- Returns how many were there.
local moved = 0
for i = 1, #ARGV, 2 do
  -- From the right: the oldest lie there, and those are usually meant.
  if redis.call('LREM', KEYS[1], -1, ARGV[i]) == 1 then
    moved = moved + 1
    if KEYS[2] ~= KEYS[1] then
      redis.call('LPUSH', KEYS[2], ARGV[i + 1])
    end
  end
end
return moved
