-- Settle a batch of events: alerts, dead letters and unhandled counters, all or nothing.
-- KEYS  1 processing list  2 heartbeat  3 alert queue  4 dead letters  5 ingest queue  6 suspects
--       7 hits of rules in this hour  8 in this day  9 hosts of this hour  10 unmatched patterns  11 their samples
--       then per counter: its key, its key once triggered
-- ARGV  1 token  2 lease in ms  3 number of alerts  4 number of dead letters
--       5 alert queue depth from which alerts are shed (-1: never)  6 and 7 the text around a shed alert
--       8 threshold of a counter  9 its expiry in seconds  10 now, as RFC 3339
--       11 number of rules  12 number of hosts  13, 14 seconds to keep counts of an hour, of a day
--       15 hosts, 16 patterns to keep of an hour  17 longest sample to keep, in bytes
--       18 how many items were claimed  19 the newest and 20 the oldest of them
--       then the alerts, the dead letters, rules and their hits, hosts and their events, and per counter:
--       how many events, which item of the list is a sample, the hash of its pattern
-- Returns false if the list is no longer ours or not the batch, else {shed, triggered, depth of alert queue, of dead letters}.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return false
end
-- A replica that became master may not have heard of the claim, or have the batch before it on the list.
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[18])
  or redis.call('LINDEX', KEYS[1], 0) ~= ARGV[19] or redis.call('LINDEX', KEYS[1], -1) ~= ARGV[20] then
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
local at = 21
local shed = 0
if shed_from >= 0 and redis.call('LLEN', KEYS[3]) >= shed_from then
  push(KEYS[4], at, alerts, ARGV[6], ARGV[7])
  shed = alerts
else
  push(KEYS[3], at, alerts, '', '')
end
at = at + alerts
push(KEYS[4], at, dead, '', '')
at = at + dead

-- What each rule, host and pattern had to do. Of too many, those with the fewest events go.
local rules, hosts = tonumber(ARGV[11]), tonumber(ARGV[12])
local hour_secs, day_secs = tonumber(ARGV[13]), tonumber(ARGV[14])
for i = at, at + 2 * rules - 2, 2 do
  redis.call('HINCRBY', KEYS[7], ARGV[i], ARGV[i + 1])
  redis.call('HINCRBY', KEYS[8], ARGV[i], ARGV[i + 1])
end
at = at + 2 * rules
for i = at, at + 2 * hosts - 2, 2 do
  redis.call('ZINCRBY', KEYS[9], ARGV[i + 1], ARGV[i])
end
at = at + 2 * hosts
if rules > 0 then
  redis.call('EXPIRE', KEYS[7], hour_secs)
  redis.call('EXPIRE', KEYS[8], day_secs)
end
if hosts > 0 then
  redis.call('EXPIRE', KEYS[9], hour_secs)
end
local function fewer(key, most, samples)
  local excess = redis.call('ZCARD', key) - most
  -- Not for each one too many: some at a time.
  if excess > most / 10 then
    if samples then
      for first = 0, excess - 1, CHUNK do
        redis.call('HDEL', samples, unpack(redis.call('ZRANGE', key, first, math.min(first + CHUNK, excess) - 1)))
      end
    end
    redis.call('ZREMRANGEBYRANK', key, 0, excess - 1)
  end
end
fewer(KEYS[9], tonumber(ARGV[15]))

-- One meta-event at the threshold: RENAME takes the counter away, and while the renamed one lives it
-- goes on counting without another. The meta-event goes to the end that is consumed next, so it is
-- audited and forwarded like any other.
local sample_bytes = tonumber(ARGV[17])
local threshold, expiry = tonumber(ARGV[8]), tonumber(ARGV[9])
local triggered = 0
local already = {}
for first = 13, #KEYS, 2 * CHUNK do
  local names = {}
  for k = first, math.min(first + 2 * CHUNK - 2, #KEYS), 2 do
    names[#names + 1] = KEYS[k]
  end
  for i, count in ipairs(redis.call('MGET', unpack(names))) do
    already[first + 2 * (i - 1)] = count
  end
end
for k = 12, #KEYS, 2 do
  local amount, sample_index, pattern = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2]
  at = at + 3
  redis.call('ZINCRBY', KEYS[10], amount, pattern)
  if redis.call('HEXISTS', KEYS[11], pattern) == 0 then
    local item = redis.call('LINDEX', KEYS[1], sample_index)
    if #item <= sample_bytes then
      redis.call('HSET', KEYS[11], pattern, item)
    end
  end
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

if #KEYS >= 12 then
  redis.call('EXPIRE', KEYS[10], hour_secs)
  redis.call('EXPIRE', KEYS[11], hour_secs)
  fewer(KEYS[10], tonumber(ARGV[16]), KEYS[11])
end

if redis.call('EXISTS', KEYS[6]) == 1 then
  for _, item in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    redis.call('HDEL', KEYS[6], redis.sha1hex(item))
  end
end
redis.call('DEL', KEYS[1])
return {shed, triggered, redis.call('LLEN', KEYS[3]), redis.call('LLEN', KEYS[4])}
