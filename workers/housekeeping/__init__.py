"""What has to be done again and again, whatever slots, jobs and files leave behind."""
