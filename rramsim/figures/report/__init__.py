"""The pages: the self-contained HTML report and the explorer's, made of charts and tables."""
