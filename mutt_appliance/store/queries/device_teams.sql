SELECT hostname, team_assignment FROM device_teams
