-- Take a lock that expires, if nobody holds it.
-- KEYS  lock
-- ARGV  token, seconds
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
-- A full Redis refuses SET, but not in a script that took something away first: what makes room needs the lock.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
