-- Forget an event that was delivered.
--
-- KEYS     the events that have to be delivered, the event
-- ARGV     event id
--
-- Returns  1 if it was forgotten, 0 if it was not there any more.

if redis.call("zrem", KEYS[1], ARGV[1]) == 0 then
  return 0
end
return redis.call("del", KEYS[2])
