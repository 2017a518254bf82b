-- Take dead letters out of their queue, and put what they become into another, each only if it is still there.
-- KEYS  1 dead letters  2 where they go, the dead letters themselves for nowhere
-- ARGV  1 a text that is no letter  2 1 to look for places from the left
--       then per letter: the letter as it lies there, its index when it was read or empty, what becomes of it
-- Returns how many were there.
--
-- LREM compares a letter with all that lie before it: behind 100,000 of them, 200 would keep Redis busy for seconds.
-- So what lies where it was read is marked, and the marks are taken out together in one pass.
local MARK = ARGV[1]
-- A full Redis refuses LSET, but not in a script that could have taken something away first.
redis.call('LTRIM', KEYS[1], 0, -1)
local there, marked = {}, 0
for i = 3, #ARGV, 3 do
  if ARGV[i + 1] ~= '' and redis.call('LINDEX', KEYS[1], ARGV[i + 1]) == ARGV[i] then
    redis.call('LSET', KEYS[1], ARGV[i + 1], MARK)
    marked = marked + 1
    there[i] = true
  end
end
for i = 3, #ARGV, 3 do
  -- From the right: the oldest lie there, and those are usually meant.
  if not there[i] then
    there[i] = redis.call('LREM', KEYS[1], -1, ARGV[i]) == 1
  end
end
if marked > 0 then
  redis.call('LREM', KEYS[1], ARGV[2] == '1' and marked or -marked, MARK)
end
local moved = 0
for i = 3, #ARGV, 3 do
  if there[i] then
    moved = moved + 1
    if KEYS[2] ~= KEYS[1] then
      redis.call('LPUSH', KEYS[2], ARGV[i + 2])
    end
  end
end
return moved
