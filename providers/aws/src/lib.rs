//! privnet on AWS: PrivateLink endpoint services behind network load balancers.
