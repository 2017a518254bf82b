-- Store a dynamic setting with its next version.
-- KEYS  1 hash of settings
-- ARGV  1 name  2 version it must have, empty for any  3 its document up to the version: {"value":5, or {
-- Returns false when the version is another, else {document before or empty, version}.
local before = redis.call('HGET', KEYS[1], ARGV[1])
local version = 0
if before then
  local readable, document = pcall(cjson.decode, before)
  if readable and type(document) == 'table' then
    version = tonumber(document.version) or 0
  end
end
if ARGV[2] ~= '' and tonumber(ARGV[2]) ~= version then
  return false
end
version = version + 1
-- A full Redis refuses HSET, but not in a script that took something away first.
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3] .. '"version":' .. string.format('%d', version) .. '}')
return {before or '', version}
