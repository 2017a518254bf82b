-- Settle a batch of events: alerts, dead letters and unhandled counters, all or nothing.
-- KEYS  1 processing list  2 heartbeat  3 alert queue  4 dead letters  5 ingest queue  6 suspects
--       then per counter: its key, its key once triggered
-- ARGV  1 token  2 lease in ms  3 number of alerts  4 number of dead letters
--       5 alert queue depth from which alerts are shed (0: never)  6 and 7 the text around a shed alert
--       8 threshold of a counter  9 its expiry in seconds  10 now, as RFC 3339
--       then the alerts, the dead letters, and per counter: how many events, which item of the list is a sample
-- Returns false if the list is no longer ours, else {shed, triggered, depth of alert queue, of dead letters}.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return false
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])

local CHUNK = 1000 -- well below the number of values unpack() can put on the stack
local function push(key, first, count, before, after)
  local chunk = {}
  for i = first, first + count - 1 do
    chunk[#chunk + 1] = before .. ARGV[i] .. after
    if #chunk == CHUNK or i == first + count - 1 then
      redis.call('LPUSH', key, unpack(chunk))
      chunk = {}
    end
  end
end

local alerts, dead = tonumber(ARGV[3]), tonumber(ARGV[4])
local shed_from = tonumber(ARGV[5])
local at = 11
local shed = 0
if shed_from > 0 and redis.call('LLEN', KEYS[3]) >= shed_from then
  push(KEYS[4], at, alerts, ARGV[6], ARGV[7])
  shed = alerts
else
  push(KEYS[3], at, alerts, '', '')
end
at = at + alerts
push(KEYS[4], at, dead, '', '')
at = at + dead

-- One meta-event at the threshold: RENAME takes the counter away, and while the renamed one lives it
-- goes on counting without another. The meta-event goes to the end that is consumed next, so it is
-- audited and forwarded like any other.
local threshold, expiry = tonumber(ARGV[8]), tonumber(ARGV[9])
local triggered = 0
local already = {}
for first = 8, #KEYS, 2 * CHUNK do
  local names = {}
  for k = first, math.min(first + 2 * CHUNK - 2, #KEYS), 2 do
    names[#names + 1] = KEYS[k]
  end
  for i, count in ipairs(redis.call('MGET', unpack(names))) do
    already[first + 2 * (i - 1)] = count
  end
end
for k = 7, #KEYS, 2 do
  local amount, sample_index = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  at = at + 2
  if already[k + 1] then
    redis.call('INCRBY', KEYS[k + 1], amount)
  else
    local count = redis.call('INCRBY', KEYS[k], amount)
    if count == amount then
      redis.call('EXPIRE', KEYS[k], expiry)
    end
    -- A sample that cjson cannot read (over 1,000 levels deep) leaves the report to the pattern's next event.
    local readable, sample
    if count >= threshold then
      readable, sample = pcall(cjson.decode, redis.call('LINDEX', KEYS[1], sample_index))
    end
    if readable then
      redis.call('RENAME', KEYS[k], KEYS[k + 1])
      redis.call('EXPIRE', KEYS[k + 1], expiry)
      redis.call('RPUSH', KEYS[5], cjson.encode({
        event_id = 'unhandled-' .. tostring(sample.event_id),
        correlation_id = sample.correlation_id,
        received_at = ARGV[10],
        timestamp = ARGV[10],
        hostname = sample.hostname,
        message = sample.message,
        syslog_severity = sample.syslog_severity,
        trap_oid = sample.trap_oid,
        mutt_meta = {kind = 'unhandled', count = count, threshold = threshold, counter = KEYS[k]},
      }))
      triggered = triggered + 1
    end
  end
end

if redis.call('EXISTS', KEYS[6]) == 1 then
  for _, item in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    redis.call('HDEL', KEYS[6], redis.sha1hex(item))
  end
end
redis.call('DEL', KEYS[1])
return {shed, triggered, redis.call('LLEN', KEYS[3]), redis.call('LLEN', KEYS[4])}
