-- Accept jobs: the record and the message of each become durable together, or not at all.
--
-- KEYS     the index of all jobs by the moment they were accepted, then the jobs' records (in this
--          database)
-- ARGV     broker database, records database, most jobs of a queue that may not have come to an
--          end, an idempotency key's time to live (s), then for each job: queue, its key,
--          message id, message, accepted_at, spec, callback URL ("" for none), key of its
--          idempotency key ("" for none), fingerprint of its request, what the ledger shall call
--          the request, id of the HTTP request ("" for none)
--
-- Returns  for each job {"accepted"}, {"replayed", id of the job that the key stands for},
--          {"conflict"} where that job was asked for with another request, or {"full"}
--
-- Writes to the queue what RedisBroker's own "enqueue" writes: hset, then rpush.

local FIXED, EACH = 4, 11
local broker_db, records_db, limit, key_ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local jobs = #KEYS - 1

redis.call("select", broker_db)
local held = {}
for job = 1, jobs do
  local queue_key = ARGV[FIXED + EACH * (job - 1) + 2]
  -- A message stays in the hash until it is acknowledged: this counts running jobs too.
  held[queue_key] = held[queue_key] or redis.call("hlen", queue_key .. ".msgs")
end
redis.call("select", records_db)
for job = 1, jobs do
  local queue, queue_key = unpack(ARGV, FIXED + EACH * (job - 1) + 1, FIXED + EACH * (job - 1) + 2)
  -- Those that wait for another attempt have no message.
  held[queue_key] = math.max(held[queue_key], redis.call("scard", "open:" .. queue))
end

local time = redis.call("time")
local answers, messages = {}, {}
for job = 1, jobs do
  local record = KEYS[job + 1]
  local job_id = string.sub(record, 5)
  local queue, queue_key, message_id, message, accepted_at, spec, callback_url, key, fingerprint,
    request_ref, request_id = unpack(ARGV, FIXED + EACH * (job - 1) + 1, FIXED + EACH * job)
  local known = key ~= "" and redis.call("hmget", key, "job_id", "fingerprint") or {false}
  if known[1] then
    answers[job] = known[2] == fingerprint and {"replayed", known[1]} or {"conflict"}
  elseif held[queue_key] >= limit then
    answers[job] = {"full"}
  else
    redis.call("hset", record, "status", "queued", "attempt", "0", "progress", "0",
      "accepted_at", accepted_at, "spec", spec, "queue", queue, "message_id", message_id,
      "request_ref", request_ref)
    if callback_url ~= "" then
      redis.call("hset", record, "callback_url", callback_url)
    end
    if request_id ~= "" then
      redis.call("hset", record, "request_id", request_id)
    end
    redis.call("zadd", KEYS[1], time[1] + time[2] / 1e6, job_id)
    redis.call("sadd", "open:" .. queue, job_id)
    if key ~= "" then
      redis.call("hset", key, "job_id", job_id, "fingerprint", fingerprint)
      redis.call("expire", key, key_ttl)
    end
    held[queue_key] = held[queue_key] + 1
    messages[#messages + 1] = {queue_key, message_id, message}
    answers[job] = {"accepted"}
  end
end

redis.call("select", broker_db)
for _, queued in ipairs(messages) do
  redis.call("hset", queued[1] .. ".msgs", queued[2], queued[3])
  redis.call("rpush", queued[1], queued[2])
end
redis.call("select", records_db)
return answers
