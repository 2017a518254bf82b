"""What the appliance tells about itself: logs, metrics, health, events per second."""
