-- A development host and two teams, so that what rules do with them can be seen.
INSERT INTO development_hosts (hostname, note)
VALUES (%(dev_host)s, 'sample of mutt demo')
ON CONFLICT DO NOTHING;
INSERT INTO device_teams (hostname, team_assignment)
VALUES (%(team_host)s, 'DATACENTRE'), (%(other_team_host)s, 'SERVERS')
ON CONFLICT DO NOTHING;
