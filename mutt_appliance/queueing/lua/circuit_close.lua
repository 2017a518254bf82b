-- Moogsoft answers: close the circuit. That there is a backlog stays noted.
-- KEYS  1 circuit
-- ARGV  1 when it was opened, as the caller knows it
-- Returns 1, or 0 if it is closed already or was opened anew.
if redis.call('HGET', KEYS[1], 'opened_at') ~= ARGV[1] then
  return 0
end
redis.call('HDEL', KEYS[1], 'opened_at', 'interval', 'probe_at', 'failures', 'row', 'failed_at', 'reason')
return 1
